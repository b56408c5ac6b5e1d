"""What is trained on: small data sets as one tensor, or photographs read meanwhile. Only `module` knows Lightning."""
