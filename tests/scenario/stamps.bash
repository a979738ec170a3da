# For the scenarios about attributes of files. Sourced after cache.bash.

# stamps EXPRESSION: a program "app" in $APP that says what the Rust expression makes of path, asset.txt
# beside its manifest, and text, what that holds.
stamps() {
  APP=$WORK/app
  with_macro "$APP"
  cat >"$APP/look/src/expr.rs" <<END
{
    #[allow(unused_imports)]
    use std::os::unix::fs::MetadataExt;
    let path = format!("{}/asset.txt", std::env::var("CARGO_MANIFEST_DIR").unwrap());
    let text = std::fs::read_to_string(&path).unwrap();
    $1
}
END
  printf 'logo' >"$APP/asset.txt"
  chmod 644 "$APP/asset.txt"
  touch -d '2020-01-01 00:00:00 UTC' "$APP/asset.txt"
  (cd "$APP" && cargo generate-lockfile -q)
}
# again LABEL: after cargo clean; what is made then is what a plain build makes.
again() {
  both "$1" "$APP" build
}
# fresh_checkout: the same files at the same place, new.
fresh_checkout() {
  clean "$APP"
  sleep_past_second
  cp -r "$APP" "$WORK/copy"
  rm -rf "$APP"
  mv "$WORK/copy" "$APP"
}
# sleep_past_second: a time that differs by less than a second is no evidence.
sleep_past_second() {
  local now
  now=$(date +%s)
  wait_until 5 is_later_than "$now"
}
is_later_than() {
  [ "$(date +%s)" -gt "$(($1 + 1))" ]
}
