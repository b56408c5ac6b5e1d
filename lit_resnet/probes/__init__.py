"""What is measured inside a net: parameters and multiply-adds, layer responses. Knows no trainer."""
