"""Many runs, as a grid file says them and as their folders say they are. Knows run folders, not networks."""
