//! The tools, as an agent calls them.

use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::{RoleClient, RunningService, ServiceExt};
use rmcp::transport::TokioChildProcess;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The command line of this build, which is built where it is not there yet.
fn racefuzz() -> PathBuf {
    let server = Path::new(env!("CARGO_BIN_EXE_racefuzz-mcp"));
    let tool = server.with_file_name("racefuzz");
    if !tool.is_file() || !server.with_file_name("cargo-racefuzz").is_file() {
        let built =
            Command::new(env!("CARGO")).args(["build", "--quiet", "-p", "racefuzz-cli", "--bins"]).status();
        assert!(built.unwrap().success(), "the command line does not build");
    }
    tool
}

/// A client of `racefuzz mcp`.
struct Agent {
    service: RunningService<RoleClient, ()>,
}

impl Agent {
    async fn new() -> Self {
        let mut command = tokio::process::Command::new(racefuzz());
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        command.arg("mcp").current_dir(root);
        Self { service: ().serve(TokioChildProcess::new(command).unwrap()).await.unwrap() }
    }

    async fn call(&self, tool: &str, arguments: Value) -> CallToolResult {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        self.service.call_tool(request).await.unwrap()
    }

    /// The text of a call that succeeds, and its result.
    async fn told(&self, tool: &str, arguments: Value) -> (String, Value) {
        let result = self.call(tool, arguments).await;
        let text = text(&result);
        assert_ne!(result.is_error, Some(true), "{text}");
        (text, result.structured_content.unwrap())
    }

    /// The text of a call that fails.
    async fn refused(&self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await;
        assert_eq!(result.is_error, Some(true));
        text(&result)
    }
}

fn text(result: &CallToolResult) -> String {
    let texts = result.content.iter().filter_map(|content| Some(content.as_text()?.text.clone()));
    texts.collect::<Vec<_>>().join("\n")
}

fn snapshot(name: &str, text: &str) {
    insta::with_settings!({ snapshot_path => "../../../snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(format!("mcp__{name}"), text);
    });
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn the_tools_say_what_they_do() {
    block_on(async {
        let agent = Agent::new().await;
        let tools = agent.service.list_all_tools().await.unwrap();
        let mut tools: Vec<String> = tools
            .iter()
            .map(|tool| {
                assert!(tool.output_schema.is_some(), "{}", tool.name);
                format!("{}: {}", tool.name, tool.description.as_deref().unwrap_or_default())
            })
            .collect();
        tools.sort();
        snapshot("tools", &tools.join("\n"));
    });
}

#[test]
fn a_scenario_is_found_run_explained_repaired_and_proved() {
    block_on(async {
        let agent = Agent::new().await;
        let (text, _) = agent.told("list", json!({ "filter": "refcount" })).await;
        snapshot("list", &text);
        let (text, result) = agent.told("run", json!({ "name": "refcount", "seed": 42 })).await;
        snapshot("run", &text);
        let verdict = &result["verdicts"][0];
        assert_eq!((&verdict["verdict"], &verdict["executions"]), (&json!("bug"), &json!(1)));
        let token = verdict["failures"][0]["token"].as_str().unwrap();
        let (text, _) = agent.told("explain", json!({ "token": token })).await;
        snapshot("explain", &text);
        let (text, step) = agent.told("step", json!({ "token": token, "step": 1 })).await;
        snapshot("step", &text);
        assert!(step["next"].as_u64().unwrap() > 1);
        let (text, repairs) = agent.told("fix", json!({ "name": "refcount" })).await;
        snapshot("fix", &text);
        assert_eq!(repairs["repairs"][0]["certainty"], "verified");
        assert_eq!(
            (&repairs["repairs"][1]["certainty"], &repairs["repairs"][1]["patch"]),
            (&json!("advice"), &Value::Null)
        );
        let (text, result) =
            agent.told("check", json!({ "name": "refcount-locked", "params": { "threads": 3 } })).await;
        snapshot("check", &text);
        assert_eq!(result["verdicts"][0]["verdict"], "verified");
    });
}

#[test]
fn what_cannot_be_done_is_said_in_a_line() {
    block_on(async {
        let agent = Agent::new().await;
        let mut said = Vec::new();
        for (tool, arguments) in [
            ("run", json!({ "name": "refcont" })),
            ("run", json!({ "name": "--help" })),
            ("run", json!({ "name": "refcount", "memory": "arm" })),
            ("check", json!({ "name": "refcount", "params": { "thread": 3 } })),
            ("check", json!({ "name": "anything", "package": "/no/such/folder" })),
            ("explain", json!({ "token": "refcount:0" })),
            ("verify_patch", json!({ "package": "/no/such/folder", "name": "x", "patch": "" })),
        ] {
            said.push(format!("{tool} {arguments}\n    {}", agent.refused(tool, arguments.clone()).await));
        }
        snapshot("refused", &said.join("\n"));
    });
}

/// The source of a package with a lost update.
const LOST: &str = "#![allow(missing_docs)]
use racefuzz::sync::atomic::{AtomicU32, Ordering::SeqCst};

pub fn add(count: &AtomicU32) {
    let before = count.load(SeqCst);
    count.store(before + 1, SeqCst);
}

#[racefuzz::test]
fn both_count() {
    let count = racefuzz::sync::Arc::new(AtomicU32::new(0));
    let other = racefuzz::thread::spawn({ let count = count.clone(); move || add(&count) });
    add(&count);
    other.join().unwrap();
    assert_eq!(count.load(SeqCst), 2);
}
";

#[test]
#[ignore = "compiles the library anew, which takes a minute"]
fn a_patch_is_checked_in_a_copy_of_the_package() {
    let folder = tempfile::tempdir().unwrap();
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../racefuzz").canonicalize().unwrap();
    let manifest = format!(
        "[package]\nname = \"counts\"\nedition = \"2024\"\n[dependencies]\nracefuzz = {{ path = {library:?} }}\n"
    );
    std::fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    std::fs::create_dir(folder.path().join("src")).unwrap();
    std::fs::write(folder.path().join("src/lib.rs"), LOST).unwrap();
    let package = folder.path().to_str().unwrap();
    let patch = |to: &str| {
        let after = LOST.replace(
            "    let before = count.load(SeqCst);\n    count.store(before + 1, SeqCst);\n",
            &format!("    {to}\n"),
        );
        let diff = diffy::create_patch(LOST, &after).to_string();
        diff.replace("--- original", "--- a/src/lib.rs").replace("+++ modified", "+++ b/src/lib.rs")
    };
    block_on(async {
        let agent = Agent::new().await;
        let program = json!({ "package": package, "name": "both_count" });
        let (text, result) = agent.told("run", program.clone()).await;
        assert_eq!(result["verdicts"][0]["failures"][0]["anomaly"], "lost update", "{text}");
        let token = &result["verdicts"][0]["failures"][0]["token"];
        let (text, _) = agent.told("step", json!({ "package": package, "token": token, "step": 1 })).await;
        assert!(text.contains("count.load(SeqCst)"), "{text}");
        let (text, repairs) = agent.told("fix", program).await;
        let repair = &repairs["repairs"][0]["patch"];
        assert!(repair.is_string(), "{text}");
        for (patch, holds, compiles) in [
            (repair.as_str().unwrap().to_owned(), true, true),
            (patch("count.fetch_add(1, SeqCst);"), true, true),
            (patch("count.store(count.load(SeqCst) + 1, SeqCst);"), false, true),
            (patch("count.increment();"), false, false),
        ] {
            let request = json!({ "package": package, "name": "both_count", "patch": patch });
            let (text, result) = agent.told("verify_patch", request).await;
            assert_eq!((&result["holds"], &result["compiles"]), (&json!(holds), &json!(compiles)), "{text}");
        }
        assert_eq!(std::fs::read_to_string(folder.path().join("src/lib.rs")).unwrap(), LOST);
    });
}
