"""It needs a package that is not installed."""

import a_package_that_nobody_has  # type: ignore[import-not-found]

__all__ = ["a_package_that_nobody_has"]
