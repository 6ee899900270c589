# REQ-TODOTAGS-CON-007, as the plan asks for it. With -S, Python finds no installed package.
set -e
grep -x 'dependencies = \[\]' pyproject.toml
python3 -S -m todo --file check.json add 'Milk, bread'
python3 -S -m todo --file check.json export check.csv
grep '^1,"Milk, bread",' check.csv
