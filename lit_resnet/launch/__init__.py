"""Many runs, made: what is missing is planned, and run on this machine or on a cluster."""
