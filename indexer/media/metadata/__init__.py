"""What a file says about itself: the metadata inside it, and the files beside it that speak about it."""
