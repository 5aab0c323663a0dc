//! What becomes of volumes and credentials when a ChatCluster is deleted is what its policy says at that time, whatever it said before.

use klatch_tests::kube::{
    chat::Chat,
    crowd::{MANAGEMENT, manifest},
    standing::Standing,
};

/// Nobody answers there: its databases run, and that is all there is of it.
const NO_BROKER: u16 = 1;

fn set_policy(chat: &Chat<'_>, policy: &str) {
    chat.patch(&format!(r#"{{"deletionPolicy": "{policy}"}}"#));
}

/// Of what holds data or opens it, how many objects go with somebody else, and how many there are.
fn owned(chat: &Chat<'_>) -> (usize, usize) {
    let of = "jsonpath={range .items[*]}{.metadata.name} {.metadata.ownerReferences[*].kind}{\"\\n\"}{end}";
    let kinds = "persistentvolumeclaims,secrets";
    let listed = chat.must(&["get", kinds, "--selector=klatch.dev/cluster-id", "-o", of]);
    (listed.lines().filter(|line| line.split_whitespace().count() > 1).count(), listed.lines().count())
}

async fn goes(chat: &Chat<'_>) {
    chat.must(&["delete", "chat", "chat", "--cascade=foreground", "--timeout=180s"]);
    chat.until("its pods are gone", async || chat.must(&["get", "pods", "-o", "name"]).is_empty()).await;
}

async fn databases_run(chat: &Chat<'_>) {
    chat.until("both databases run", async || {
        let of = "jsonpath={.items[*].status.readyReplicas}";
        chat.must(&["get", "statefulsets", "--selector=app.kubernetes.io/component=postgres", "-o", of]) == "1 1"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_word_decides_what_stays() {
    let standing = Standing::shared();
    let chat = Chat::in_namespace(standing.cluster);
    chat.apply_also(MANAGEMENT);
    chat.apply_also(&manifest("chat", NO_BROKER, ""));
    databases_run(&chat).await;
    let retained = chat.retained();
    assert_eq!(owned(&chat), (0, retained.len()), "by itself, everything stays");

    set_policy(&chat, "Delete");
    chat.until("everything would go with it", async || owned(&chat) == (retained.len(), retained.len())).await;
    set_policy(&chat, "Retain");
    chat.until("everything would stay again", async || owned(&chat) == (0, retained.len())).await;
    goes(&chat).await;
    assert_eq!(chat.retained(), retained, "volumes and credentials stay");

    let volume = chat.must(&["get", "pvc", "-o", "jsonpath={.items[0].metadata.labels.klatch\\.dev/cluster-id}"]);
    chat.apply_also(&manifest("chat", NO_BROKER, "  deletionPolicy: Delete\n"));
    chat.must(&["annotate", "chat", "chat", &format!("klatch.dev/adopt-data={volume}")]);
    databases_run(&chat).await;
    chat.until("everything would go with it", async || owned(&chat) == (retained.len(), retained.len())).await;
    goes(&chat).await;
    chat.until("nothing is left of its data", async || chat.retained().is_empty()).await;
    let left = chat.must(&["get", "secrets", "-o", "jsonpath={.items[*].metadata.name}"]);
    assert_eq!(left, "chat-tls management", "what people made stays theirs");
    chat.must(&["delete", "namespace", &chat.namespace]);
}
