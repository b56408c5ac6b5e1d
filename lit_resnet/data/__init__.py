"""What is trained on: whole data sets as one tensor, and batches made from them. Only `module` knows Lightning."""
