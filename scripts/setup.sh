#!/bin/sh
# Makes .venv with everything the project needs, from requirements/*.txt, in the checkout only.
# Nothing is installed on the machine: where Python lacks ensurepip (Debian without python3-venv), pip is
# taken from Debian's own packages, unpacked under .cache.
set -eu
cd "$(dirname "$0")/.."
stamp=.venv/.ready
want=$(cat requirements/*.txt pyproject.toml scripts/setup.sh | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then exit 0; fi

say() { printf 'setup: %s\n' "$*" >&2; }

python=""
for name in "${PYTHON:-}" python3.14 python3.13 python3.12 python3.11 python3; do
    [ -n "$name" ] || continue
    if "$name" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then python=$name; break; fi
done
if [ -z "$python" ]; then say "needs Python 3.11 or newer; found none (set PYTHON=/path/to/python3.11)"; exit 1; fi

if ! grep -qs 'VERSION_ID="12"' /etc/os-release; then say "not Debian 12: unverified here, going on"; fi

rm -rf .venv
mkdir -p .cache
if "$python" -m venv .venv 2>.cache/venv.log; then
    pip=".venv/bin/python -m pip"
else
    # no ensurepip: a venv without pip, and pip's own wheel run from Debian's package
    rm -rf .venv .cache/pip
    "$python" -m venv --without-pip .venv
    mkdir -p .cache/pip/lists/partial .cache/pip/archives/partial
    apt="-o Dir::State::lists=$PWD/.cache/pip/lists -o Dir::Cache=$PWD/.cache/pip -o Debug::NoLocking=1 -o APT::Sandbox::User="
    # shellcheck disable=SC2086
    if ! (apt-get $apt -q update && cd .cache/pip && apt-get $apt -q download python3-pip-whl) >.cache/pip.log 2>&1; then
        say "this Python has no venv and apt can't fetch python3-pip-whl (.cache/pip.log); install python3-venv"; exit 1
    fi
    dpkg-deb -x .cache/pip/python3-pip-whl_*.deb .cache/pip/root
    wheel=$(ls .cache/pip/root/usr/share/python-wheels/pip-*.whl)
    pip=".venv/bin/python $wheel/pip"
fi
if ! $pip --disable-pip-version-check install --quiet -r requirements/run.txt -r requirements/dev.txt >.cache/install.log 2>&1; then
    say "pip could not install requirements/*.txt: $(tail -n 1 .cache/install.log) (all of it in .cache/install.log)"; exit 1
fi
if ! $pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation -e . >>.cache/install.log 2>&1; then
    say "the checkout itself could not be installed into .venv: $(tail -n 1 .cache/install.log)"; exit 1
fi
printf '%s\n' "$want" >"$stamp"
