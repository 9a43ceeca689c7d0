#!/usr/bin/env bash
# Unpacks a newer Prometheus and Alertmanager than the machine's own Debian has, and installs nothing:
#   scripts/prometheus.sh DEST [SUITE...]
# Tries the suites in order (default: forky trixie). Prints one line: the suite and the folder with promtool, prometheus,
# prometheus-alertmanager and amtool. Where none can be had, it names the folder of the machine's own promtool; 1 if
# there is none either. Give it to the tests as LASTCHUNK_PROMTOOL=FOLDER/promtool.
set -euo pipefail

dest=${1:?usage: scripts/prometheus.sh DEST [SUITE...]}
shift
[ $# -gt 0 ] || set -- forky trixie
# For each suite: a mirror that hangs must not hold up whoever asked.
seconds=120
# apt and dpkg are called from another folder, so this one has to be written in full.
mkdir -p "$dest"
dest=$(cd "$dest" && pwd)

# unpack SUITE INTO: by the machine's own source entry and keys, with lists and a cache of their own.
unpack() {
  local suite=$1 into=$2 work options
  work=$(mktemp -d)
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
  awk -v RS= '/Suites:.*bookworm( |\n|$)/ && !/security/' /etc/apt/sources.list.d/debian.sources |
    sed -E "s/^Suites:.*/Suites: $suite/" >"$work/x.sources"
  options=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work" -o "Dir::State::lists=$work/lists"
    -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root -qq)
  (
    cd "$work" &&
      timeout "$seconds" apt-get "${options[@]}" update &&
      timeout "$seconds" apt-get "${options[@]}" download prometheus promtool prometheus-alertmanager &&
      for package in *.deb; do dpkg-deb -x "$package" "$into"; done &&
      "$into/usr/bin/promtool" --version
  ) >"$work/log" 2>&1
  local status=$?
  [ "$status" -eq 0 ] || tail -n 3 "$work/log" >&2
  rm -rf "$work"
  return "$status"
}

for suite in "$@"; do
  if unpack "$suite" "$dest/$suite"; then
    printf '%s %s\n' "$suite" "$dest/$suite/usr/bin"
    exit 0
  fi
done
if own=$(command -v promtool); then
  printf '%s %s\n' "installed" "$(dirname "$own")"
  exit 0
fi
echo 'no promtool: none installed, and none could be unpacked' >&2
exit 1
