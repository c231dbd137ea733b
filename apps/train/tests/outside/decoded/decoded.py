"""Images that are decoded when they are read."""

import csv
from pathlib import Path

from PIL import Image


class ListedImages:
    """The images of a folder that its `images.csv` lists for a split."""

    def __init__(self, folder, split, transform):
        self.folder = Path(folder)
        with open(self.folder / "images.csv") as file:
            self.rows = [row for row in csv.DictReader(file) if row["split"] == split]
        self.transform = transform

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        row = self.rows[index]
        with Image.open(self.folder / row["file"]) as image:
            return {"x": self.transform(image.convert("L")), "y": int(row["label"]), "file": row["file"]}
