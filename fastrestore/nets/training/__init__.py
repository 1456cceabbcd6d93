"""From a folder of photographs to a network: ``fastrestore train``."""
