"""The certificate of a server without a balancer: certbot asks an ACME authority for it, and Nginx serves it."""
