# Cases of a checkout that is moved (paths = shared). Each is a small program, or a test, of one package; what its
# result may depend on is said in its first line:
#
#     // free      nothing of the place: it is found from any other one
#     // place     the place itself: it is found from the same one alone
#     // above     what lies around the workspace: it is found from where that is the same
#     // any       found or not (files' times count at first): what it prints is what counts
#
# moved_workspace DIR makes them all, with a macro crate that looks for things in each way, and a library with a build
# script.

# moved_case DIR NAME CLASS < TEXT: a program; what it prints is compared.
moved_case() {
  { echo "// $3"; cat; } >"$1/cases/src/bin/$2.rs"
}
# moved_print DIR NAME CLASS EXPRESSION
moved_print() {
  printf 'fn main() {\n    println!("{:?}", %s);\n}\n' "$4" | moved_case "$1" "$2" "$3"
}

# A macro that gives the real path of a source, by nothing that a system call or a variable tells; before 1.88 there is
# no such thing.
moved_local() {
  local version
  version=$(rustc --version | sed -E 's/^rustc 1\.([0-9]+).*/\1/')
  [ "$version" -lt 88 ] || echo '#[proc_macro] pub fn local(_: TokenStream) -> TokenStream { text(format!("{:?}", proc_macro::Span::call_site().local_file())) }'
}

# The macros: each makes a text of what it finds by its argument.
moved_macros() {
  mkdir -p "$1/mac/src"
  cat >"$1/mac/Cargo.toml" <<'END'
[package]
name = "mac"
version = "0.1.0"
edition = "2021"
[lib]
proc-macro = true
END
  sed "s/@LOCAL@/$(moved_local)/" >"$1/mac/src/lib.rs" <<'END'
use proc_macro::{Literal, TokenStream, TokenTree};
use std::path::{Path, PathBuf};

fn home() -> PathBuf { PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap()) }
fn text(of: String) -> TokenStream { TokenTree::from(Literal::string(&of)).into() }
fn arg(of: TokenStream) -> String { of.to_string().trim_matches('"').to_string() }
fn read(p: &Path) -> String { std::fs::read_to_string(p).unwrap_or_else(|e| e.kind().to_string()) }
fn names(p: &Path) -> String {
    let mut all: Vec<_> = match std::fs::read_dir(p) {
        Ok(d) => d.map(|e| e.unwrap().file_name().into_string().unwrap()).collect(),
        Err(e) => return e.kind().to_string(),
    };
    all.sort();
    all.join(" ")
}
macro_rules! macros {
    ($($name:ident: $a:ident => $e:expr;)*) => {
        $(#[proc_macro] pub fn $name(input: TokenStream) -> TokenStream { let $a = arg(input); text($e) })*
    };
}
macros! {
    read_abs: a => read(&home().join(&a));
    read_rel: a => read(Path::new(&a));
    read_real: a => read(&home().canonicalize().unwrap().join(&a));
    list_abs: a => names(&home().join(&a));
    list_rel: a => names(Path::new(&a));
    there_abs: a => home().join(&a).exists().to_string();
    there_rel: a => Path::new(&a).exists().to_string();
    size_abs: a => std::fs::metadata(home().join(&a)).map_or(0, |m| m.len()).to_string();
    link_abs: a => std::fs::read_link(home().join(&a)).map_or("none".into(), |l| l.display().to_string());
    walk_file: a => home().ancestors().map(|d| d.join(&a)).find(|f| f.is_file()).map_or("none".into(), |f| read(&f));
    walk_dir: a => home().ancestors().any(|d| d.join(&a).is_dir()).to_string();
    walk_cwd: a => {
        let mut up = PathBuf::from(".");
        let mut found = String::from("none");
        for _ in 0..3 {
            if up.join(&a).is_file() { found = read(&up.join(&a)); break; }
            up.push("..");
        }
        found
    };
    dir: _a => home().display().to_string();
    dir_url: _a => format!("file://{}/index.html", home().display());
    dir_above: _a => home().ancestors().nth(2).unwrap().display().to_string();
    dir_far: _a => home().ancestors().nth(3).unwrap().display().to_string();
    cwd: _a => std::env::current_dir().unwrap().display().to_string();
    real: a => home().join(&a).canonicalize().map_or("none".into(), |p| p.display().to_string());
    var: a => std::env::var(&a).unwrap_or_default();
    relative: a => home().join(&a).canonicalize().unwrap().strip_prefix(home().canonicalize().unwrap()).unwrap().display().to_string();
}
#[proc_macro]
pub fn include_abs(input: TokenStream) -> TokenStream {
    format!("include_str!({:?})", home().join(arg(input)).display().to_string()).parse().unwrap()
}
#[proc_macro]
pub fn include_bytes_abs(input: TokenStream) -> TokenStream {
    format!("include_bytes!({:?}).len()", home().join(arg(input)).display().to_string()).parse().unwrap()
}
#[proc_macro]
pub fn tracked(input: TokenStream) -> TokenStream {
    let p = home().join(arg(input));
    format!("{{ const _: &[u8] = include_bytes!({:?}); {:?} }}", p.display().to_string(), read(&p)).parse().unwrap()
}
#[proc_macro]
pub fn said(input: TokenStream) -> TokenStream {
    eprintln!("mac looks at {}", home().join(arg(input)).display());
    text(String::from("said"))
}
@LOCAL@
#[proc_macro]
pub fn said_above(_: TokenStream) -> TokenStream {
    eprintln!("mac stands in {}", home().ancestors().nth(2).unwrap().display());
    text(String::from("said"))
}
END
}

# A library whose build script makes code and text, and which hands on what of it has names.
moved_library() {
  mkdir -p "$1/low/src"
  printf '[package]\nname = "low"\nversion = "0.1.0"\nedition = "2021"\n' >"$1/low/Cargo.toml"
  cat >"$1/low/build.rs" <<'END'
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    let seed = std::fs::read_to_string("seed.txt").unwrap();
    std::fs::write(format!("{out}/made.rs"), format!("pub const MADE: &str = {seed:?};\npub fn made_at() -> &'static str {{ file!() }}\n")).unwrap();
    println!("cargo:rerun-if-changed=seed.txt");
}
END
  echo "a seed" >"$1/low/seed.txt"
  cat >"$1/low/src/lib.rs" <<'END'
// free
include!(concat!(env!("OUT_DIR"), "/made.rs"));
pub fn at() -> &'static str { file!() }
#[track_caller]
pub fn called_at() -> String { std::panic::Location::caller().to_string() }
#[inline]
pub fn inlined() -> String { called_at() }
pub fn generic<T: Default + std::fmt::Debug>() -> String { format!("{:?} {}", T::default(), std::panic::Location::caller()) }
#[macro_export]
macro_rules! here { () => { concat!(file!(), ":", line!()) }; }
END
}

moved_cases() {
  local w=$1
  mkdir -p "$w/cases/src/bin" "$w/cases/tests" "$w/cases/data/sub" "$w/shared"
  cat >"$w/cases/Cargo.toml" <<'END'
[package]
name = "cases"
version = "0.1.0"
edition = "2021"
autobenches = false
[dependencies]
mac = { path = "../mac" }
low = { path = "../low" }
END
  echo one >"$w/cases/data/one.txt"
  echo two >"$w/cases/data/two.txt"
  echo deep >"$w/cases/data/sub/deep.txt"
  echo 'pub const WORDS: &str = "words"; pub const AT: &str = file!();' >"$w/cases/data/words.rs"
  echo member >"$w/shared/member.txt"
  ln -sfn one.txt "$w/cases/data/link.txt"
  ln -sfn ../../../beside.txt "$w/cases/data/out-link.txt"
  ln -sfn ../../shared "$w/cases/data/shared"
  echo "the root's" >"$w/root-marker"
  # what the compiler reads
  moved_print "$w" file free 'file!()'
  moved_print "$w" line_column free '(line!(), column!(), module_path!())'
  moved_print "$w" env_dir place 'env!("CARGO_MANIFEST_DIR")'
  moved_print "$w" env_path place 'env!("CARGO_MANIFEST_PATH")'
  moved_print "$w" env_option place 'option_env!("CARGO_MANIFEST_DIR")'
  moved_print "$w" env_concat place 'concat!(env!("CARGO_MANIFEST_DIR"), "/data")'
  moved_print "$w" env_unset free 'option_env!("NOT_SET_AT_ALL")'
  moved_print "$w" env_package free '(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), env!("CARGO_CRATE_NAME"))'
  moved_print "$w" str_env free 'include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/one.txt"))'
  moved_print "$w" str_relative free 'include_str!("../../data/one.txt")'
  moved_print "$w" str_link free 'include_str!("../../data/link.txt")'
  moved_print "$w" str_link_dir free 'include_str!("../../data/shared/member.txt")'
  moved_print "$w" str_member free 'include_str!("../../../shared/member.txt")'
  moved_print "$w" str_out above 'include_str!("../../../../beside.txt")'
  moved_print "$w" str_out_env above 'include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../beside.txt"))'
  moved_print "$w" str_out_link any 'include_str!("../../data/out-link.txt")'
  moved_print "$w" bytes_env free 'include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/one.txt"))'
  moved_print "$w" bytes_out above 'include_bytes!("../../../../beside.txt")'
  printf 'mod words { include!("../../data/words.rs"); }\nfn main() { println!("{} {}", words::WORDS, words::AT); }\n' | moved_case "$w" include_relative free
  printf 'mod words { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/words.rs")); }\nfn main() { println!("{} {}", words::WORDS, words::AT); }\n' | moved_case "$w" include_env free
  printf 'mod words { include!("../../../../beside.rs"); }\nfn main() { println!("{}", words::BESIDE); }\n' | moved_case "$w" include_out above
  printf '#[path = "../../data/words.rs"]\nmod words;\nfn main() { println!("{} {}", words::WORDS, words::AT); }\n' | moved_case "$w" mod_path free
  printf '#[path = "../../../../beside.rs"]\nmod words;\nfn main() { println!("{}", words::BESIDE); }\n' | moved_case "$w" mod_out above
  printf '#![doc = include_str!("../../data/one.txt")]\nfn main() { println!("documented"); }\n' | moved_case "$w" doc_str free
  printf 'fn main() { let v: Vec<u8> = Vec::new(); println!("{}", v[0]); }\n' | moved_case "$w" panics free
  printf 'fn main() { println!("{} {}", low::made_at(), low::MADE); }\n' | moved_case "$w" out_dir_included free
  printf 'fn main() { println!("{} {} {} {}", low::at(), low::called_at(), low::inlined(), low::generic::<u8>()); }\n' | moved_case "$w" library_names free
  printf 'fn main() { println!("{}", low::here!()); }\n' | moved_case "$w" library_macro free
  printf 'fn main() { println!("{}", std::any::type_name_of_val(&|| 1)); }\n' | moved_case "$w" closure_name free
  printf 'const N: usize = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/one.txt")).len();\nfn main() { println!("{N}"); }\n' | moved_case "$w" str_length free
  printf 'fn main() { std::process::exit(include_bytes!("../../data/one.txt").len() as i32); }\n' | moved_case "$w" status free
  # what a macro reads
  moved_print "$w" m_read_abs free 'mac::read_abs!("data/one.txt")'
  moved_print "$w" m_read_rel free 'mac::read_rel!("cases/data/one.txt")'
  moved_print "$w" m_read_real free 'mac::read_real!("data/one.txt")'
  moved_print "$w" m_read_link free 'mac::read_abs!("data/link.txt")'
  moved_print "$w" m_read_member free 'mac::read_abs!("../shared/member.txt")'
  moved_print "$w" m_read_manifest free 'mac::read_abs!("Cargo.toml").len()'
  moved_print "$w" m_read_root free 'mac::read_rel!("Cargo.toml").len()'
  moved_print "$w" m_absent free 'mac::read_abs!("data/none.txt")'
  moved_print "$w" m_absent_rel free 'mac::read_rel!("none.txt")'
  moved_print "$w" m_out_abs above 'mac::read_abs!("../../beside.txt")'
  moved_print "$w" m_out_rel above 'mac::read_rel!("../beside.txt")'
  moved_print "$w" m_out_link any 'mac::read_abs!("data/out-link.txt")'
  moved_print "$w" m_out_absent free 'mac::read_rel!("../not-there.txt")'
  moved_print "$w" m_out_there above 'mac::there_rel!("../beside.d")'
  moved_print "$w" m_out_there_abs above 'mac::there_abs!("../../beside.txt")'
  moved_print "$w" m_out_list above 'mac::list_rel!("../beside.d")'
  moved_print "$w" m_out_size above 'mac::size_abs!("../../beside.txt")'
  moved_print "$w" m_list_abs free 'mac::list_abs!("data")'
  moved_print "$w" m_list_rel free 'mac::list_rel!("cases/data/sub")'
  moved_print "$w" m_there any '(mac::there_abs!("data/one.txt"), mac::there_rel!("cases/none"))'
  moved_print "$w" m_link_text free 'mac::link_abs!("data/link.txt")'
  moved_print "$w" m_walk_near any 'mac::walk_file!("root-marker")'
  moved_print "$w" m_walk_far above 'mac::walk_file!("far-marker")'
  moved_print "$w" m_walk_dir above 'mac::walk_dir!("far-dir")'
  moved_print "$w" m_walk_cwd above 'mac::walk_cwd!("far-marker")'
  moved_print "$w" m_walk_none free 'mac::walk_file!("marker-that-is-nowhere")'
  moved_print "$w" m_include free 'mac::include_abs!("data/one.txt")'
  moved_print "$w" m_include_bytes free 'mac::include_bytes_abs!("data/one.txt")'
  moved_print "$w" m_tracked free 'mac::tracked!("data/two.txt")'
  moved_print "$w" m_relative free 'mac::relative!("data/sub/../link.txt")'
  # what a macro emits
  if [ -n "$(moved_local)" ]; then
    echo 'pub const AT: &str = mac::local!();' >"$w/cases/data/local.rs"
    moved_print "$w" m_local free 'mac::local!()'
    printf 'mod l { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/local.rs")); }\nfn main() { println!("{}", l::AT); }\n' | moved_case "$w" m_local_abs place
  fi
  moved_print "$w" m_dir place 'mac::dir!()'
  moved_print "$w" m_dir_url place 'mac::dir_url!()'
  moved_print "$w" m_dir_above above 'mac::dir_above!()'
  moved_print "$w" m_dir_far above 'mac::dir_far!()'
    moved_print "$w" m_cwd place 'mac::cwd!()'
  moved_print "$w" m_real place 'mac::real!("data/link.txt")'
  moved_print "$w" m_real_root above 'mac::real!("../..")'
  moved_print "$w" m_var place 'mac::var!("CARGO_MANIFEST_PATH")'
  moved_print "$w" m_said free 'mac::said!("data")'
  moved_print "$w" m_said_above above 'mac::said_above!()'
  # tests that run programs of the package
  printf '// place\n#[test]\nfn runs() { println!("{}", env!("CARGO_BIN_EXE_file")); assert!(std::path::Path::new(env!("CARGO_BIN_EXE_file")).exists()); }\n' >"$w/cases/tests/t_exe.rs"
  printf '// place\n#[test]\nfn tmp() { println!("{}", env!("CARGO_TARGET_TMPDIR")); }\n' >"$w/cases/tests/t_tmp.rs"
  printf '// free\n#[test]\nfn reads() { println!("{}", include_str!("../data/one.txt")); }\n' >"$w/cases/tests/t_str.rs"
}

moved_workspace() {
  mkdir -p "$1"
  printf '[workspace]\nresolver = "2"\nmembers = ["mac", "low", "cases"]\n[profile.dev]\ndebug = "line-tables-only"\n' >"$1/Cargo.toml"
  moved_macros "$1"
  moved_library "$1"
  moved_cases "$1"
}
# moved_around DIR WORDS: what lies beside and above a workspace in DIR.
moved_around() {
  mkdir -p "$1/beside.d"
  echo "$2" >"$1/beside.txt"
  echo "pub const BESIDE: &str = \"$2\";" >"$1/beside.rs"
  : >"$1/beside.d/${2// /-}"
}
