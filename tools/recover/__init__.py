"""After a kill of `up`: brings what the cloud has made unheard into the state."""
