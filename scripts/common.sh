# Sourced by the scripts beside it.

PYTHON=/usr/bin/python3  # Debian's own, whatever else is first in PATH.
DEPS=${PONDER_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/ponder}
SCRIPT=scripts/${0##*/}

say() {
  echo "$SCRIPT: $*"
}

fail() {
  echo "$SCRIPT: $*" >&2
  exit 1
}

# The last line of a log, for the end of a sentence.
last_words() {
  grep -v '^[[:space:]]*$' "$1" | tail -n 1 | cut -c 1-300
}

# Why pip failed, out of its log.
pip_reason() {
  local reason
  reason=$(sed -n "s/.*connection broken by \(.*\)/\1/p" "$1" | head -n 1)
  [[ -n $reason ]] || reason=$(grep -m 1 ERROR "$1" || last_words "$1")
  echo "${reason:0:300}"
}

# install_packages NAME...: Debian packages that are not installed yet.
install_packages() {
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
    fail "this is not Debian; install what docs/dependencies.md lists by hand" \
      "and build with cmake --preset release"

  local missing=() name
  # One call for all is what makes the second run instantaneous.
  local installed
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" \
    2>/dev/null || true)
  for name in "$@"; do
    [[ $'\n'$installed$'\n' == *$'\n'"$name installed"$'\n'* ]] ||
      missing+=("$name")
  done
  ((${#missing[@]} > 0)) || return 0

  local as_root=()
  if [[ $(id -u) != 0 ]]; then
    if sudo -n true 2>/dev/null; then
      as_root=(sudo -n)
    else
      fail "packages are missing and root's rights too; run" \
        "\"sudo apt-get install -y --no-install-recommends ${missing[*]}\"," \
        "then this script again"
    fi
  fi

  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  local log
  log=$(mktemp)
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get
    -q -y -o DPkg::Lock::Timeout=600)
  # A list that cannot be updated may still be good enough to install from.
  "${as_root[@]}" "${apt[@]}" update >"$log" 2>&1 || true
  if ! "${as_root[@]}" "${apt[@]}" install --no-install-recommends \
    "${missing[@]}" >>"$log" 2>&1; then
    local words
    words=$(last_words "$log")
    rm -f "$log"
    fail "apt-get could not install ${missing[*]} (\"$words\"); see that the" \
      "machine reaches a Debian mirror, then run this script again"
  fi
  rm -f "$log"
}

# Waits until no other clone sets up in the same folder; held until the script
# ends.
lock_deps() {
  mkdir -p "$DEPS" 2>/dev/null ||
    fail "cannot make the folder $DEPS; set PONDER_DEPS to one that you own"
  { exec 9>"$DEPS/.lock"; } 2>/dev/null ||
    fail "cannot write in $DEPS; set PONDER_DEPS to a folder that you own"
  if ! flock -n 9; then
    say "waiting for another setup in $DEPS"
    flock 9
  fi
}
