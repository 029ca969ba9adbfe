"""The building blocks of networks: modules, layers, activations, losses and initialisers.

Read in this order: `init`, `module`, `layers`, `activations`, `losses`.
"""
