"""`python -m frame_train` is the command `train`."""

from frame_train.train import main

if __name__ == "__main__":
    main()
