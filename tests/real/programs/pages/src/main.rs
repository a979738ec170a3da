//! Proc-macros that read files: a template, and two ways to embed a directory.
use askama::Template;
use include_dir::{include_dir, Dir};
use rust_embed::RustEmbed;

#[derive(Template)]
#[template(path = "list.html")]
struct List<'a> {
    title: &'a str,
    lines: &'a [String],
}

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Assets;

static DIR: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/assets");

fn main() {
    let mut names: Vec<String> = Assets::iter().map(|n| n.to_string()).collect();
    names.sort();
    println!("{}", List { title: "assets", lines: &names }.render().unwrap());
    for name in &names {
        let here = Assets::get(name).unwrap().data;
        let there = DIR.get_file(name).unwrap().contents();
        println!("{name}: {} bytes, {}", here.len(), here == there);
    }
}
