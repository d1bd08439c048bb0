# pip: builds a wheel of a local project and installs it into a virtual environment, offline; console scripts, extension modules no.
# slow: yes
# timeout: 400
mkdir -p project/pkg
cat >project/setup.py <<'P'
from setuptools import setup
setup(name='pkg', version='1.2', packages=['pkg'], package_data={'pkg': ['data.txt']}, entry_points={'console_scripts': ['pkg-hello = pkg:main']})
P
echo 'import importlib.resources as r, sys
def main(): print("hello from", __name__, r.files(__name__).joinpath("data.txt").read_text().strip(), sys.prefix != sys.base_prefix)' >project/pkg/__init__.py
echo packaged >project/pkg/data.txt
(
  cd project && python3 setup.py -q bdist_wheel 2>/dev/null
  ls dist
)
python3 -m venv env && ls env/bin | sort
. env/bin/activate
python -m pip --version | cut -d' ' -f1-2
pip install -q --no-index --no-deps project/dist/*.whl
echo "pip $?"
pkg-hello
python -c 'import pkg; pkg.main()'
pip list --disable-pip-version-check --format=freeze | grep pkg
pip show -f pkg | sed -n '1,2p;/Files/,$p'
pip check
pip uninstall -qy pkg
python -c 'import pkg' 2>&1 | tail -1
pip install -q --no-index no-such-package 2>&1 | tail -1
pip wheel -q --no-index --no-build-isolation --no-deps -w out ./project 2>&1 | tail -2
python3 -m zipfile -l project/dist/*.whl | awk '{print $1}' | sort
deactivate
python3 -m venv --system-site-packages --copies --without-pip env2
env2/bin/python -c 'import numpy, sys; print(numpy.arange(3), sys.prefix.endswith("env2"))'
python3 -m ensurepip --version 2>&1 | cut -d' ' -f1
python3 -m compileall -q project
python3 -c 'import venv, zipapp' && python3 -m zipapp project/pkg -m 'pkg:main' -o z.pyz 2>&1
ls z.pyz
