//! What a user of custom-html relies on: pages put into the volume are served as they are, also after an upgrade.

use crate::prelude::*;

/// Where the volume `content` is in the service `app`.
const ROOT: &str = "/usr/share/nginx/html";

/// The checks.
pub fn checks(set: &mut Checks) {
    set.before(Stage::Upgrade, "writes-pages", write_pages);
    set.check(Stage::Upgrade, "keeps-content", pages_are_served_as_written).timeout(60);
    set.check(Stage::Custom, "unknown-page-is-404", an_unknown_page_is_not_found);
}

/// The pages of one run: file name, content type, body. The run's id tells them from any that lay there before.
fn pages(run: &str) -> [(String, &'static str, String); 2] {
    [
        (
            format!("kept-{run}.html"),
            "text/html",
            format!("<!doctype html><p>kept by {run}, ümlaut and all</p>\n"),
        ),
        (format!("kept-{run}.css"), "text/css", format!("/* {run} */ p {{ color: teal }}\n")),
    ]
}

async fn write_pages(context: Context) -> Checked {
    for (name, _, body) in pages(context.facts().run.as_str()) {
        let file = format!("{ROOT}/{name}");
        // The text is an argument of its own, so that the shell reads nothing into it.
        context.exec_in("app", &["sh", "-c", "printf %s \"$1\" >\"$2\"", "sh", &body, &file]).await?;
    }
    // Seen from outside already now: else the check after the upgrade would prove nothing about the upgrade.
    pages_are_served_as_written(context).await
}

async fn pages_are_served_as_written(context: Context) -> Checked {
    for (name, kind, body) in pages(context.facts().run.as_str()) {
        let answer = context.get(&format!("/{name}")).await?;
        let status = answer.status();
        ensure!(status == 200, "/{name} gives {status}, not 200: the page that was written is not served");
        let header =
            answer.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        ensure!(header.starts_with(kind), "/{name} is served as `{header}`, not as {kind}");
        let served = answer.text().await?;
        ensure!(served == body, "/{name} was written as {body:?} and is served as {served:?}");
    }
    Ok(())
}

async fn an_unknown_page_is_not_found(context: Context) -> Checked {
    let status = context.get("/there-is-no-such-page").await?.status();
    ensure!(status == 404, "an unknown page gives {status}, not 404: links to nowhere would look alive");
    Ok(())
}
