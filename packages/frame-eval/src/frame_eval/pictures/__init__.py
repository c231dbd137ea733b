"""Pictures of samples, of reconstructions and of the latent space."""
