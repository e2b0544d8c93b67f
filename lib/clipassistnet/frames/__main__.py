"""python -m clipassistnet.frames DATASET OUT --size 96"""

from clipassistnet.frames import main

if __name__ == "__main__":
    main()
