"""Numbers that filtering and its gradients have in common in all backends."""

# Lower limit for the variance of a group coefficient, relative to that of a block: differences of
# blocks with nearly equal noise, in float32.
LEAST = 2.0**-15

# Limits for the weights of groups: sums of weighted pixels have a fixed resolution and range. They
# only matter for maps with noise levels that differ by factors of thousands, or are 0.
LIGHTEST, HEAVIEST = 2.0**-20, 256.0

# Half the width of the smooth step whose derivative the threshold has for `Gradients.factors`,
# relative to the threshold, both squared. The step itself has none.
WIDTH = 0.9
