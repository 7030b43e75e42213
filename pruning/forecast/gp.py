"""What is used of gpytorch; its import warns of what it stands on, which is not ours to mend."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    from gpytorch import Module  # type: ignore[import-untyped]
    from gpytorch.constraints import Positive  # type: ignore[import-untyped]
    from gpytorch.kernels import Kernel  # type: ignore[import-untyped]

__all__ = ["Kernel", "Module", "Positive"]
