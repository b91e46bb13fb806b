"""`make recover`: after a killed `up`, adds what the cloud created but Pulumi didn't record to the state."""
