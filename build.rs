//! Says which commit a release was built from; a development build is not rebuilt for each commit.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let build = if release {
        commit()
    } else {
        Some("development".to_owned())
    };
    println!(
        "cargo:rustc-env=BUILD_COMMIT={}",
        build.unwrap_or_else(|| "unknown commit".to_owned())
    );
}

/// The commit and its day; none outside a repository, as in a package of sources.
fn commit() -> Option<String> {
    for path in git(&[
        "rev-parse",
        "--git-path",
        "HEAD",
        "--git-path",
        "refs/heads",
        "--git-path",
        "packed-refs",
    ])?
    .lines()
    {
        // A path that is not there would count as changed for ever.
        if !std::path::Path::new(path).exists() {
            continue;
        }
        println!("cargo:rerun-if-changed={path}");
    }
    git(&["log", "-1", "--format=%h %cs"])
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(args)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned()).filter(|text| !text.is_empty())
}
