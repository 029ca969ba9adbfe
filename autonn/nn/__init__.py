"""The building blocks of networks: modules, layers, activations, losses and initialisers."""
