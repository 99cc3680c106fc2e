#!/usr/bin/env bash
# Runs every command that README.md and the other pages show, and compares what they show with what it prints.
#
# A block marked ```console holds a session: "$ COMMAND" lines, each followed by what it prints (stdout and stderr). All blocks
# of a page are one session, in a copy of the project's root made of links. Rules, the only ones by which output and page may differ:
#
#   …                       alone on a line: any lines, also none; at a line's end: any rest of the line
#   numbers with a decimal point, and numbers before ms, s or %, equal all others: times, and values that differ
#                           in the last digits from processor to processor
#   spaces                  several are as one, and those at a line's end as none
#   v2's number of detections on examples/maskrcnn/run.sh's table: boxes of nearly equal score come and go with the processor
#
# tests/run.sh isn't run: it is what runs this.
set -euo pipefail
source_dir=${GOMAI_SOURCE_DIR:?run through ctest, or set GOMAI_SOURCE_DIR}
GOMAI_BIN=${GOMAI_BIN:?run through ctest, or set GOMAI_BIN to the folder of the programs}
export GOMAI_BIN
# The pages name the cache as a user has it.
if [ "$(basename "${GOMAI_CACHE_DIR:-x}")" = gomai ]; then XDG_CACHE_HOME=$(dirname "$GOMAI_CACHE_DIR"); export XDG_CACHE_HOME; fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
root=$tmp/root
mkdir -p "$root/build/release"
for entry in cmake docs examples lib passes presets tests tools; do
  [ ! -e "$source_dir/$entry" ] || ln -s "$source_dir/$entry" "$root/$entry"
done
ln -s "$GOMAI_BIN" "$root/build/release/bin"

python=/usr/bin/python3
"$python" - "$root" "$source_dir/README.md" <<'PYTHON'
import os, re, subprocess, sys

root, *pages = sys.argv[1:]
MARK = "<<gomai-readme-test-end-of-command>>"
NOT_RUN = {"tests/run.sh"}
# In the session above: files go to the scratch folder, not into the project's build folder, to which links lead.
ARGUMENTS = {"examples/maskrcnn/run.sh": " --work build/maskrcnn"}


def sessions(page):
    """The page's commands in order: (line number, command, lines that it should print)."""
    commands, inside = [], False
    for number, text in enumerate(open(page, encoding="utf-8").read().split("\n"), 1):
        if text.startswith("```"):
            inside = text == "```console"
        elif inside and text.startswith("$ "):
            commands.append((number, text[2:], []))
        elif inside:
            commands[-1][2].append(text)
    return commands


def normal(text):
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(r"^( *v2 .*[0-9]x[0-9]+ +)[0-9]+", r"\1D", text)
    text = re.sub(r"\b[0-9]+\.[0-9]+\b|\b[0-9]+(?= ?(ms|s|%)(\W|$))", "N", text)
    return re.sub(r" +", " ", text).rstrip()


def matches(expected, printed):
    """Whether the lines fit, '…' standing for any: wildcards over lines, by dynamic programming."""
    reach = {0}
    for line in expected:
        if line.strip() == "…":
            reach = set(range(min(reach), len(printed) + 1)) if reach else reach
        elif line.endswith("…"):
            stem = normal(line[:-1])
            reach = {i + 1 for i in reach if i < len(printed) and normal(printed[i]).startswith(stem)}
        else:
            reach = {i + 1 for i in reach if i < len(printed) and normal(printed[i]) == normal(line)}
    return len(printed) in reach


failures = ran = 0
for page in pages:
    name = os.path.basename(page)
    shell = subprocess.Popen(["bash"], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for number, command, expected in sessions(page):
        if command in NOT_RUN:
            continue
        shell.stdin.write(f"{{ {command}{ARGUMENTS.get(command, '')}\n}} </dev/null; echo '{MARK}'\n")
        shell.stdin.flush()
        printed = []
        for text in shell.stdout:
            if text.endswith(MARK + "\n"):
                rest = text[: -len(MARK) - 1]
                printed += [rest] if rest else []
                break
            printed.append(text.rstrip("\n"))
        ran += 1
        while expected and not expected[-1].strip():
            expected.pop()
        while printed and not printed[-1].strip():
            printed.pop()
        if not matches(expected, printed):
            failures += 1
            print(f"{name}:{number}: `{command}` doesn't print what is shown. It printed:")
            print("\n".join("    " + line for line in printed))
    shell.stdin.close()
    shell.wait()
print(f"{ran} commands, {failures} failed")
sys.exit(failures != 0 or ran < 10)
PYTHON
