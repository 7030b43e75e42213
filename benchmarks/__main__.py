"""``python -m benchmarks`` says what there is."""

import benchmarks

print(benchmarks.__doc__)
