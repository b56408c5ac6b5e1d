"""Many runs: grid, plan, launchers. Knows run folders, not networks."""
