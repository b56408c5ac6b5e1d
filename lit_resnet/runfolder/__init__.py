"""What passes on: the files of a run, as those who train write them and all others read them."""
