#!/usr/bin/env bats
# A macro that walks all variables asks for none by name, so a worker cannot tell that it lacks one.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

@test "a macro that may walk the environment: what can call it is compiled here, all else on the farm" {
  local app=$WORK/app
  with_macro "$app"
  echo 'std::env::vars().filter(|(k, _)| k == "ONLY_HERE").map(|(_, v)| v).collect::<String>()' >"$app/look/src/expr.rs"
  # handed on by one library, called in another, and unknown to the program
  member "$app/facade" facade lib
  member "$app/user" user lib
  depends "$app/facade" look ../look
  depends "$app/user" facade ../facade
  sed -i '/^look = /d' "$app/Cargo.toml"
  depends "$app" user user
  echo 'pub use look::look;' >"$app/facade/src/lib.rs"
  echo 'pub fn seen() -> &'"'static"' str { facade::look!() }' >"$app/user/src/lib.rs"
  echo 'fn main() { println!("{}", user::seen()) }' >"$app/src/main.rs"
  export ONLY_HERE=here
  plain_build "$app" build
  [ "$PLAIN_STATUS" -eq 0 ]
  farm_start
  build first "$app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$app"
  [ "$("$app/target/debug/app")" = here ]
  [[ "$(job user why)" = "a proc-macro may read the whole environment: liblook-"*.so ]]
  [[ "$(job facade why)" = "a proc-macro may read the whole environment: liblook-"*.so ]]
  [ "$(job user where) $(job look where) $(job app where)" = "local farm farm" ]
}

# mold lists symbols among the dynamic ones that nothing refers to any more.
# bats test_tags=long
@test "a macro that mold linked and that reads one variable by name: its users go to the farm, and hit" {
  local app=$WORK/app
  with_macro "$app"
  echo 'std::env::var("ONE").unwrap_or_default()' >"$app/look/src/expr.rs"
  export RUSTFLAGS=-Clink-arg=-fuse-ld=mold
  plain_build "$app" build
  [ "$PLAIN_STATUS" -eq 0 ]
  farm_start
  build first "$app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$app"
  show_cache
  [ "$(job app where)" = farm ]
  # cargo sets a variable for the packages that are asked for by name
  export DRAY_CACHE=on
  clean "$app"
  cached one "$app" build --workspace
  clean "$app"
  cached two "$app" build -p app
  all_hit
}
