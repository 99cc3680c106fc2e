#!/usr/bin/env bash
# gomai-run and gomai-verify on a target: every promise about providers that ignore, replace, claim, crash and hang, on the
# simulated NPU of tests/sim_npu, which the stock runtime loads.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
run=$bin/gomai-run
verify=$bin/gomai-verify
python=$GOMAI_CACHE_DIR/venv/bin/python
if [ -z "${GOMAI_SIM_NPU:-}" ]; then echo "built without ONNX Runtime: no simulated NPU to test on"; exit 77; fi

"$bin/gomai-split" -q "$tiny" --preset torchvision-maskrcnn --image-size 128x192 -o "$tmp/parts" || fail 'the split'
"$python" "$source_dir/examples/maskrcnn/make_image.py" --height 128 --width 192 -o "$tmp/image.npy"
parts=$tmp/parts
image=image=$tmp/image.npy
npu=(--ep SimNpu --ep-library "$GOMAI_SIM_NPU")
on() { "$run" "$parts" --input "$image" "${npu[@]}" "$@"; }  # on OPTION…
with() { local options=() o; for o in "$@"; do options+=(--ep-option "$o"); done; on "${options[@]}"; }  # with KEY=VALUE…
lacks() { ! grep -qF -- "$1" <<<"$output"; }
mkdir "$tmp/scratch"
export TMPDIR=$tmp/scratch  # of our own, to see what is left in it
export GOMAI_TEST_MARK=$tmp  # by which our processes are known among other tests'
no_worker() {
  local process
  for process in /proc/[0-9]*; do
    if tr '\0' '\n' <"$process/cmdline" | grep -qx -- --runtime-worker && tr '\0' '\n' <"$process/environ" | grep -qxF "GOMAI_TEST_MARK=$tmp"; then
      return 1
    fi
  done 2>/dev/null
}
nothing_left() {
  check "$1: no process is left" no_worker
  check "$1: no file is left in the temporary folder" test -z "$(ls -A "$TMPDIR")"
}

# --- selecting
expect 0 'npu     SimNpu' "$run" --list-devices "${npu[@]}"
check 'the processor is listed too' grep -q ' cpu     SimNpu' <<<"$output"
expect 0 '"kind": "npu"' "$verify" --list-devices --json "${npu[@]}"
expect 0 'npu of Gomai' on
check 'only the parts for an NPU are there' test "$(grep -c 'placement confirmed' <<<"$output")" = 3
expect 0 'cpu of ' on --ep-device cpu
check 'a device that is no NPU is called so' grep -q "the provider's device here is no NPU" <<<"$output"
check 'and nothing claims to have run on an NPU' lacks 'ran on the NPU'
expect 0 'placement confirmed' on --ep-device 2
expect 2 'choose one with --ep-device' on --ep-device gpu
expect 2 'choose one with --ep-device' on --ep-device 0
expect 2 "is no device" on --ep-device tpu
expect 2 'name its library with --ep-library' "$run" "$parts" --input "$image" --ep azure --ep-device npu
expect 2 "doesn't exist" "$run" "$parts" --input "$image" --ep SimNpu --ep-library "$tmp/none.so"
expect 2 'registering the provider library' "$run" "$parts" --input "$image" --ep SimNpu --ep-library "$tmp/image.npy"
expect 2 'name it with --ep or --target' "$run" "$parts" --input "$image" --allow-fallback
expect 0 'box: placement confirmed' on --on box
check 'the others are on the CPU' test "$(grep -c 'placement confirmed' <<<"$output")" = 1
expect 2 "has no part 'bx'; did you mean 'box'" on --on bx
cat >"$tmp/npu.json" <<JSON
{"gomai_target": 1, "ep": "SimNpu", "ep_library": "$GOMAI_SIM_NPU", "ep_device": "npu",
 "ep_options": {"cache_dir": "\${folder}/cache", "cache_key": "\${part}", "report": "1"},
 "parts": {"box": {"device": "cpu"}, "mask": {"ep_options": {"round": "fp16"}}}}
JSON
expect 0 "placement confirmed by the vendor's report" "$run" "$parts" --input "$image" --target "$tmp/npu.json"
check 'a part that the target leaves on the CPU' lacks '  box: '
check "each part's own report" test -s "$tmp/cache/mask/vitisai_ep_report.json"
echo '{"gomai_target": 1, "ep": "SimNpu", "ep_lib": "x"}' >"$tmp/wrong.json"
expect 2 "there is no key 'ep_lib'; did you mean 'ep_library'" "$run" "$parts" --input "$image" --target "$tmp/wrong.json"

# --- no silent fallback: the traps
expect 1 'only ' with refuse=Relu
check 'the nodes are named' grep -q "Relu '/" <<<"$output"
check 'and the way out' grep -q -- '--allow-fallback runs it so' <<<"$output"
expect 0 "Relu '/" on --allow-fallback --ep-option refuse=Relu
check 'what fell back is told' grep -q 'warning: box: only ' <<<"$output"
expect 1 'none of its nodes is on SimNpu' with claim=NonMaxSuppression
check 'what a provider that takes nothing reaches' grep -q 'reached: device listed' <<<"$output"
GOMAI_SIM_NPU_IGNORE_OPTIONS=1 expect 0 '7 of 7 nodes' with refuse=Gemm  # that the option was passed over, placement shows
expect 1 'asks for another device than the provider' on --ep-device cpu --ep-option device_type=NPU
expect 0 '' on --ep-device npu --ep-option device_type=NPU
expect 1 "the vendor's own report contradicts the runtime" with claim='*' report=1 report_lies=cpu "cache_dir=$tmp/lies" cache_key=k
check 'with what it says' grep -q ': 0 of .* nodes on the NPU' <<<"$output"
expect 1 'none of its nodes is on SimNpu' "$run" "$tiny" --random --input-shape image:3x128x192 "${npu[@]}" --ep-option claim=Unheard

# --- isolation: what ends the provider's process ends a part, and not the program
expect 2 "part 'backbone_rpn': killed by SIGSEGV in a run after" with fault=crash fault_op=Resize
expect 2 "killed by SIGABRT in a run" with fault=abort fault_op=ConvTranspose
expect 2 'ended with exit code 3 in a run' with fault=exit exit_code=3 fault_op=ConvTranspose
expect 2 "part 'mask': killed by SIGSEGV in session creation after" with fault=compile-crash fault_op=ConvTranspose
check 'the other parts opened' grep -q 'box: placement confirmed' <<<"$output"
check "and didn't run" grep -q "box: .*; it hasn't run" <<<"$output"
expect 2 'stopped, since it took longer than the limit of 1 s, in a run' on --time-limit 1 --ep-option fault=hang --ep-option fault_op=ConvTranspose
expect 2 'stopped, since it took longer than the limit of 1 s, in session creation' on --open-limit 1 --ep-option fault=compile-hang --ep-option fault_op=ConvTranspose
expect 2 'of memory and the limit is' on --memory-limit 600M --ep-option fault=oom --ep-option fault_op=ConvTranspose
expect 2 "sim_npu: the compiler gives up" with fault=compile-error fault_op=Gemm
expect 2 'sim_npu: the device gives up' with fault=error fault_op=Gemm
expect 0 'the provider printed: [sim_npu] run 0' on -v --ep-option fault=print
nothing_left 'after all that'
checks=$((checks + 1))
on --json --ep-option fault=print 2>/dev/null | "$python" -c '
import json, sys
d = json.load(sys.stdin)  # what the provider prints to stdout is not in it
assert [e["part"] for e in d["evidence"]] == ["backbone_rpn", "box", "mask"], d["evidence"]
for e in d["evidence"]:
    assert e["level"] == "placement confirmed by the runtime" and e["on_npu"] and not e["elsewhere"], e
    assert e["steps"]["vendor"]["known"] == "unknown" and e["steps"]["outputs"]["known"] == "unknown", e
' || fail 'the JSON document of an isolated run'
checks=$((checks + 1))
on --json --no-isolation --ep-option fault=print 2>/dev/null | "$python" -c 'import json, sys; json.load(sys.stdin)' \
  || fail 'the JSON document of a run in the same process'
checks=$((checks + 1))
said=$(on --no-isolation --ep-option fault=crash 2>&1)
{ [ $? = 2 ] && grep -q 'ONNX Runtime crashed while it was running' <<<"$said"; } || grep -q AddressSanitizer <<<"$said" \
  || fail 'without isolation a crash is told, and ends the program'
expect 0 'placement confirmed' on --one-by-one
expect 0 'placement confirmed' on --no-isolation
"$run" "$parts" --input "$image" "${npu[@]}" --ep-option fault=hang >/dev/null 2>&1 &
sleep 2; kill -KILL $!; wait 2>/dev/null; sleep 1
nothing_left 'after a program that was killed'

# --- Ctrl-C: what is done is told
checks=$((checks + 1))
# A shell's background jobs ignore SIGINT; Python gives it back.
"$python" -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
  "$run" "$parts" --input "$image" "${npu[@]}" --runs 100000 >"$tmp/interrupted" 2>&1 &
sleep 3; kill -INT $!; wait
{ grep -q 'interrupted after [1-9][0-9]* of 100000 runs' "$tmp/interrupted" && grep -q '^boxes ' "$tmp/interrupted"; } \
  || { fail 'an interrupted run tells what is done'; cat "$tmp/interrupted"; }
checks=$((checks + 1))
"$python" -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
  "$verify" "$tiny" "$parts" --random --input-shape image:3x128x192 --samples 1000 --isolated "${npu[@]}" >"$tmp/interrupted" 2>&1 &
sleep 4; kill -INT $!; wait
{ grep -q 'interrupted after [1-9][0-9]* of 1000 samples' "$tmp/interrupted" && grep -q 'backbone_rpn: placement confirmed' "$tmp/interrupted"; } \
  || { fail 'an interrupted comparison tells what is done'; tail -n 20 "$tmp/interrupted"; }
nothing_left 'after an interruption'

# --- comparing
proof=("$verify" "$tiny" "$parts" --input "$image" "${npu[@]}")
expect 0 'tensors equal bit for bit' "${proof[@]}" --threads 1  # as many as the simulated NPU has
check 'the evidence says so' grep -q 'backbone_rpn: placement confirmed by the runtime' <<<"$output"
expect 0 'within the tolerance' "${proof[@]}" --isolated --ep-option round=fp16
expect 0 'PSNR dB' "${proof[@]}" --isolated --ep-option round=fp16 --metrics
check 'an error of each tensor, in each measure' grep -qE '^class_logits +[0-9.e-]+ +[0-9.e-]+ +[0-9.e-]+ +[0-9.e+-]+ +0\.99[0-9]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ % +0/0' <<<"$output"
expect 1 'first tensor that differs' "${proof[@]}" --isolated --ep-option round=fp16 --precision fp32
expect 0 'within the tolerance' "${proof[@]}" --isolated --ep-option round=bf16 --precision bf16
expect 1 'NaN' "${proof[@]}" --isolated --ep-option fault=nan --ep-option fault_op=ConvTranspose
expect 1 "slot" "${proof[@]}" --isolated --ep-option fault=unwritten --ep-option fault_op=Gemm --ep-option fault_slot=2
check 'what was never written is named' grep -q "of part 'box': slots 2..59 of 60 weren't written" <<<"$output"
expect 1 'unwritten' on --ep-option fault=unwritten --ep-option fault_op=Gemm
expect 1 'it differs from run to run' "${proof[@]}" --isolated --ep-option fault=nondeterministic --ep-option fault_op=Gemm
expect 0 '' "${proof[@]}" --isolated --ep-option fault=nondeterministic --ep-option fault_op=Gemm --no-rerun
expect 1 "part 'box': killed by SIGSEGV in a run" "${proof[@]}" --isolated --ep-option fault=crash --ep-option fault_op=Gemm
check 'the other parts are judged all the same' grep -qE 'mask: placement confirmed' <<<"$output"
check 'and the part that crashed claims nothing' grep -q '  box: .*killed by SIGSEGV.*; reached: ' <<<"$output"
expect 0 "of the reference's 20 found again" "${proof[@]}" --ep-option round=fp16 --detections boxes,labels,scores,masks --min-mask-iou 0.3 --allowed-unmatched 2
expect 1 'detections: ' "${proof[@]}" --ep-option fault=zero --ep-option fault_op=Gemm --detections boxes,labels,scores,masks
expect 2 "has no output 'box'; did you mean 'boxes'" "${proof[@]}" --detections box
expect 2 'leave out --isolated or --detections' "${proof[@]}" --isolated --detections boxes

# --- three runs: a quantised piece beside the float one, and what the hardware adds to it
"$run" -q "$parts" --input "$image" --dump-parts "$tmp/dump"
"$python" "$source_dir/examples/npu/quantise.py" "$parts/box.onnx" "$tmp/box-u8.onnx" u8 "$tmp/dump/box" >/dev/null 2>&1 || fail 'quantising'
three=("${proof[@]}" --isolated --on box --replace "box=$tmp/box-u8.onnx")
expect 0 'three runs' "${three[@]}"
check 'a target that computes as the CPU adds nothing' grep -qE '^box +class_logits +[0-9.e-]+ +[0-9.]+ +0 +equal +0 +0 +0\.[0-9]+' <<<"$output"
expect 0 'within the tolerance' "${three[@]}" --ep-option round=fp16 --steps 4
expect 1 'steps of 0.' "${three[@]}" --ep-option fault=bias
check 'the step is the output'"'"'s scale' lacks 'range/255'
expect 0 'within the tolerance' "${three[@]}" --ep-option fault=bias --steps 100
expect 1 'DIFFERS' "${three[@]}" --cosine 0.9999999
expect 0 '' "${three[@]}" --snr 10
expect 1 'DIFFERS' "${three[@]}" --cpu-run never --precision fp32
check 'without the run between there is one difference' lacks 'three runs'
expect 0 'box: placement confirmed' on --on box --replace "box=$tmp/box-u8.onnx"
expect 1 "doesn't fit as part 'box'" on --on box --one-by-one --replace "box=$parts/mask.onnx"
expect 1 "doesn't fit as part 'box'" on --on box --replace "box=$parts/mask.onnx"
expect 2 "it has no parts to replace" "$verify" "$tiny" "$tiny" --input "$image" --replace "box=$tmp/box-u8.onnx"
finish
