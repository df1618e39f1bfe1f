#!/bin/sh
# Checks a release and its evidence with nothing but sh, openssl (1.1.1 or newer) and jq (1.6 or newer): no Wattseal.
#
#   sh verify.sh RELEASE KEYS WORK [EARLIER]
#
#   RELEASE   folder of a release, with evidence/
#   KEYS      agents/*.pem and collector/*.pem: the public keys that you trust (those in the evidence do not count)
#   WORK      an empty folder of yours for a few temporary files
#   EARLIER   folder of an earlier release of the same party: that the log only grew since then is checked, too
#
# It proves: the manifest is signed by the collector, and rows.jsonl is the file that it names; every leaf of the
# evidence is signed by a key that you trust and stands at its position in the log under the manifest's root
# (RFC 6962); batches of a gateway that stand side by side are chained by hash; blobs are those that records name.
# It does not compute registers, intervals and rows again: `wattseal verify` does. Exit code 0: all of that holds;
# 1: something does not, and is named; 2: it could not be looked at.
set -eu
LC_ALL=C
export LC_ALL
bad() { echo "BAD: $*" >&2; exit 1; }
cannot() { echo "$*" >&2; exit 2; }
[ $# -ge 3 ] || cannot "usage: sh verify.sh RELEASE KEYS WORK [EARLIER]; the head of this file says what each is"
release=$1 keys=$2 work=$3 earlier=${4:-}
ledger=$release/evidence/ledger.jsonl
for tool in openssl jq; do command -v "$tool" >/dev/null 2>&1 || cannot "$tool is not here; install it"; done
for file in manifest.jws manifest.json rows.jsonl evidence/ledger.jsonl; do
  [ -r "$release/$file" ] || cannot "$release has no $file: \`wattseal collector release evidence\` writes all of it"
done
[ -w "$work/" ] || cannot "$work is no folder that can be written; make it first: mkdir $work"
raw() { # hex -> octets
  rest=$1
  while [ -n "$rest" ]; do
    tail=${rest#??}
    printf "\\$(printf %o "0x${rest%"$tail"}")"
    rest=$tail
  done
}
hash() { digest=$(openssl dgst -sha256 -r); printf %s "${digest%% *}"; } # octets on stdin -> hex
node() { { printf '\001'; raw "$1"; raw "$2"; } | hash; } # RFC 6962 section 2.1
# base64 or base64url on stdin -> hex
hex() {
  jq -rR 'def digit: if . == 95 then 63 elif . >= 97 then . - 71 elif . >= 65 then . - 65 elif . >= 48 then . + 4
            elif . == 43 or . == 45 then 62 else 63 end;
          def byte: ("0123456789abcdef" / "") as $d | $d[(. / 16 | floor)] + $d[. % 16];
          [explode[] | select(. != 61) | digit] as $six
          | [range(0; ($six | length) * 6 / 8 | floor) as $at | ($at * 8 / 6 | floor) as $first
             | ($at * 8 % 6) as $off
             | ($six[$first] * 64 + $six[$first + 1]) | . / pow(2; 4 - $off) | floor % 256 | byte] | join("")'
}
field() { jq -rR 'gsub("-"; "+") | gsub("_"; "/") | @base64d' | jq -r "$1"; } # base64url JSON on stdin, filter
# signed JWS, role: whether one of the trusted keys of that role signed it
signed() {
  message=${1%.*} head=${1%%.*}
  algorithm=$(echo "$head" | field .alg)
  echo "${1##*.}" | jq -rR 'gsub("-"; "+") | gsub("_"; "/") | . + ["", "", "==", "="][length % 4]' |
    openssl base64 -d -A >"$work/signature"
  if [ "$algorithm" = ES256 ]; then
    whole=$(echo "${1##*.}" | hex)
    [ ${#whole} = 128 ] || return 1
    left=${whole%????????????????????????????????????????????????????????????????}
    printf 'asn1=SEQUENCE:q\n[q]\nr=INTEGER:0x%s\ns=INTEGER:0x%s\n' "$left" "${whole#"$left"}" >"$work/asn1"
    openssl asn1parse -genconf "$work/asn1" -noout -out "$work/signature" || return 1
  fi
  printf %s "$message" >"$work/message"
  for key in "$keys/$2"/*.pem; do
    if [ "$algorithm" = ES256 ]; then
      openssl dgst -sha256 -verify "$key" -signature "$work/signature" "$work/message" >"$work/said" 2>&1 && return 0
    else
      openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$work/message" -sigfile "$work/signature" \
        >"$work/said" 2>&1 && return 0
    fi
  done
  return 1
}

# The manifest and its rows.
read -r jws <"$release/manifest.jws"
[ "$(echo "${jws%%.*}" | field .typ)" = wattseal-release+jws ] || bad "manifest.jws is no release"
signed "$jws" collector || bad "manifest.jws is signed by none of $keys/collector/*.pem"
body=${jws#*.}
echo "${body%.*}" | jq -rR 'gsub("-"; "+") | gsub("_"; "/") | . + ["", "", "==", "="][length % 4]' |
  openssl base64 -d -A | hash >"$work/inside"
[ "$(hash <"$release/manifest.json")" = "$(jq -rR . <"$work/inside")" ] ||
  bad "manifest.json is not the manifest that was signed"
[ "$(hash <"$release/rows.jsonl")" = "$(jq -r .rows_sha256 "$release/manifest.json")" ] ||
  bad "rows.jsonl is not the file that the manifest names"

size=$(jq -r '.checkpoint / "\n" | .[1]' "$release/manifest.json")
root=$(jq -r '.checkpoint / "\n" | .[2]' "$release/manifest.json" | hex)
[ "$size" = "$(jq -r .position "$release/manifest.json")" ] || bad "the checkpoint is not that of the manifest's position"

# Every leaf: its signature, its place in the log (RFC 9162 section 2.1.3.2), its blob, its predecessor.
count=0 before_place="" before_hash=""
while read -r leaf; do
  jws=$(printf '%s\n' "$leaf" | jq -r .jws)
  at=$(printf '%s\n' "$leaf" | jq -r .position)
  typ=$(echo "${jws%%.*}" | field .typ)
  case $typ in
    wattseal-batch+jws) role=agents ;;
    wattseal-record+jws) role=collector ;;
    *) bad "position $at: $typ has no place in the log" ;;
  esac
  signed "$jws" "$role" || bad "position $at: signed by none of $keys/$role/*.pem"
  value=$({ printf '\000'; printf %s "$jws"; } | hash) last=$((size - 1)) place=$at
  for step in $(printf '%s\n' "$leaf" | jq -r '.inclusion[]'); do
    [ "$last" -gt 0 ] || bad "position $at: its proof is too long"
    if [ $((place % 2)) = 1 ] || [ "$place" = "$last" ]; then
      value=$(node "$step" "$value")
      while [ $((place % 2)) = 0 ] && [ "$place" -gt 0 ]; do place=$((place / 2)) last=$((last / 2)); done
    else
      value=$(node "$value" "$step")
    fi
    place=$((place / 2)) last=$((last / 2))
  done
  if [ "$last" != 0 ] || [ "$value" != "$root" ]; then bad "position $at: its proof does not lead to the root"; fi
  payload=${jws#*.} payload=${payload%.*}
  if [ "$role" = agents ]; then
    this=$(echo "$payload" | field '"\(.agent) \(.epoch) \(.seq)"')
    after=$(echo "$payload" | field '"\(.agent) \(.epoch) \(.seq - 1)"')
    if [ "$after" = "$before_place" ] && [ "$(echo "$payload" | field .prev | hex)" != "$before_hash" ]; then
      bad "position $at: it does not continue the batch before it"
    fi
    before_place=$this before_hash=$(printf %s "$jws" | hash)
  elif [ "$(echo "$payload" | field .kind)" = vee ]; then
    name=$(echo "$payload" | field .body.sha256)
    [ "$(hash <"$release/evidence/blobs/$name.ndjson")" = "$name" ] || bad "position $at: its blob is another one"
  fi
  count=$((count + 1))
done <"$ledger"

# That the log only grew since an earlier release (RFC 9162 section 2.1.4.2).
if [ -n "$earlier" ]; then
  old=$(jq -r '.checkpoint / "\n" | .[1]' "$earlier/manifest.json")
  old_root=$(jq -r '.checkpoint / "\n" | .[2]' "$earlier/manifest.json" | hex)
  read -r jws <"$earlier/manifest.jws"
  signed "$jws" collector || bad "$earlier/manifest.jws is signed by none of $keys/collector/*.pem"
  [ "$old" = "$(jq -r .consistency.from "$release/manifest.json")" ] ||
    bad "the release does not prove that it continues $earlier"
  place=$((old - 1)) last=$((size - 1)) first="" newer=""
  while [ $((place % 2)) = 1 ]; do place=$((place / 2)) last=$((last / 2)); done
  [ "$place" != 0 ] || { first=$old_root newer=$old_root; }
  for step in $(jq -r '.consistency.hashes[]' "$release/manifest.json"); do
    if [ -z "$first" ]; then first=$step newer=$step; continue; fi
    [ "$last" -gt 0 ] || bad "the consistency proof is too long"
    if [ $((place % 2)) = 1 ] || [ "$place" = "$last" ]; then
      first=$(node "$step" "$first") newer=$(node "$step" "$newer")
      while [ $((place % 2)) = 0 ] && [ "$place" -gt 0 ]; do place=$((place / 2)) last=$((last / 2)); done
    else
      newer=$(node "$newer" "$step")
    fi
    place=$((place / 2)) last=$((last / 2))
  done
  if [ "$old" = "$size" ]; then first=$old_root newer=$root; [ "$old_root" = "$root" ] || bad "one size, two roots"; fi
  if [ "$first" != "$old_root" ] || [ "$newer" != "$root" ]; then
    bad "the log does not continue that of $earlier: its history was rewritten"
  fi
  echo "good: the log of $size leaves begins with the $old leaves of $earlier"
fi
echo "good: $(jq -r .release_id "$release/manifest.json"), signed, with $count leaves of a log of $size"
