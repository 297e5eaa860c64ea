//! The tools.

use crate::command::{Command, Failed};
use crate::document::{self, FixDocument, RunDocument};
use crate::requests::{Check, Explain, List, Program, Run, Step, VerifyPatch};
use crate::results::{Moment, Patched, Repairs, Scenarios, Story, Verdicts, Worded};
use rmcp::handler::server::common::schema_for_output;
use rmcp::handler::server::tool::IntoCallToolResult;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock};
use rmcp::{ErrorData, ServerHandler, tool, tool_handler, tool_router};

/// Serves the tools.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server;

/// What a tool answers.
struct Answer<T>(Result<T, Failed>);

impl<T: Worded> IntoCallToolResult for Answer<T> {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        let result = match self.0 {
            Ok(result) => {
                let value = serde_json::to_value(&result)
                    .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
                let mut structured = CallToolResult::structured(value);
                structured.content = vec![ContentBlock::text(result.words())];
                structured
            }
            Err(Failed(why)) => CallToolResult::error(vec![ContentBlock::text(why)]),
        };
        Ok(result.into())
    }
}

#[tool_router]
impl Server {
    /// List the scenarios that come with racefuzz: small programs, each with a concurrency bug or its repair.
    #[tool(output_schema = schema_for_output::<Scenarios>(), annotations(read_only_hint = true))]
    async fn list(&self, Parameters(request): Parameters<List>) -> Answer<Scenarios> {
        let printed = Command::list(&request).output().await;
        Answer(printed.and_then(|printed| Ok(Scenarios::of(&document::read(&printed)?))))
    }

    /// Run a program under many schedules, the same for the same seed, and tell the first that breaks it.
    #[tool(output_schema = schema_for_output::<Verdicts>(), annotations(read_only_hint = true))]
    async fn run(&self, Parameters(request): Parameters<Run>) -> Answer<Verdicts> {
        Answer(verdicts(&Command::run(&request)).await)
    }

    /// Explore every execution of a program: it is verified, or has a bug, or more executions than there was time for.
    #[tool(output_schema = schema_for_output::<Verdicts>(), annotations(read_only_hint = true))]
    async fn check(&self, Parameters(request): Parameters<Check>) -> Answer<Verdicts> {
        Answer(verdicts(&Command::check(&request)).await)
    }

    /// Explain a failure: its cause, and the steps that matter.
    #[tool(output_schema = schema_for_output::<Story>(), annotations(read_only_hint = true))]
    async fn explain(&self, Parameters(request): Parameters<Explain>) -> Answer<Story> {
        let command = Command::replay(&request.token, request.package.as_ref());
        Answer(replayed(&command).await.and_then(Story::of))
    }

    /// Look at one step of a failure: who does what, at which line, and the values behind it.
    #[tool(output_schema = schema_for_output::<Moment>(), annotations(read_only_hint = true))]
    async fn step(&self, Parameters(request): Parameters<Step>) -> Answer<Moment> {
        let command = Command::replay(&request.token, request.package.as_ref());
        let moment = |document| Moment::of(document, request.step, command.folder());
        Answer(replayed(&command).await.and_then(moment))
    }

    /// Search for changes that repair a program, and prove them; those that can be typed in come as patches.
    #[tool(output_schema = schema_for_output::<Repairs>(), annotations(read_only_hint = true))]
    async fn fix(&self, Parameters(program): Parameters<Program>) -> Answer<Repairs> {
        let command = Command::fix(&program);
        let printed = command.output().await.and_then(|printed| document::read::<FixDocument>(&printed));
        Answer(printed.map(|document| Repairs::of(document, command.folder())))
    }

    /// Type a patch into a copy of a package, compile it, and explore every execution of its tests.
    #[tool(output_schema = schema_for_output::<Patched>(), annotations(read_only_hint = true))]
    async fn verify_patch(&self, Parameters(request): Parameters<VerifyPatch>) -> Answer<Patched> {
        let verified = tokio::task::spawn_blocking(move || crate::patched::verify(&request)).await;
        Answer(verified.unwrap_or_else(|error| Err(Failed(error.to_string()))))
    }
}

#[tool_handler(
    name = "racefuzz",
    instructions = "racefuzz finds the interleaving that breaks concurrent Rust code, and proves that none is left. \
                    `run` samples schedules, `check` explores all executions; both return the token of a failure. \
                    `explain` and `step` tell what happens in it, `fix` searches for repairs, and `verify_patch` \
                    checks one of your own. Name `package` for the `#[racefuzz::test]`s of a crate."
)]
impl ServerHandler for Server {}

async fn verdicts(command: &Command) -> Result<Verdicts, Failed> {
    let printed = command.output().await?;
    Ok(Verdicts::of(document::read_all(&printed)?))
}

async fn replayed(command: &Command) -> Result<RunDocument, Failed> {
    document::read(&command.output().await?)
}
