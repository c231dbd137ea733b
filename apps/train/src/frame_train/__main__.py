"""`python -m frame_train` is the command `train`."""

from frame_train.commands.train import main

if __name__ == "__main__":
    main()
