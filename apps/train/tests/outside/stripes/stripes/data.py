"""Pictures of stripes, written to a file once."""

from pathlib import Path

import torch
from torch.utils.data import Dataset


class Stripes(Dataset):
    """Binary pictures of horizontal or vertical stripes."""

    def __init__(self, root, split, download):
        path = Path(root) / "stripes" / f"{split}.pt"
        if download and not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            generator = torch.Generator().manual_seed(len(split))
            rows = torch.randint(2, (300, 1, 8, 1), generator=generator).float().expand(-1, -1, -1, 8)
            torch.save(torch.cat([rows, rows.transpose(2, 3)]), path)
        self.pictures = torch.load(path)

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, index):
        return {"x": self.pictures[index], "y": index >= len(self) // 2}
