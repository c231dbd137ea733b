"""The command `train`, as `python -m frame_train`."""

from frame_train.commands.train import main

if __name__ == "__main__":
    main()
