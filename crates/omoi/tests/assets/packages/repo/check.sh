# What every project here is tested by: each needs a package of its registry.
set -e
(cd node && node check.js)
(cd rust && CARGO_TARGET_DIR=/tmp/target cargo test --quiet --offline)
(cd python && python3 check.py)
python3 -m unittest -q
