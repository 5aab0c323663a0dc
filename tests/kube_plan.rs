//! `klatch plan --diff` against a real apiserver: what it says is what an apply then does, and it does nothing itself.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output},
};

use klatch_tests::{
    klatch_process::binary,
    kube::{
        fuse::Point,
        scene::{Scene, quiet_plane},
        script,
    },
};

const TEN_LINES: &str = include_str!("samples/chatcluster/good/ten-lines.yaml");

/// A `kubectl` on a path, as people have it, and the manifest.
struct Person<'a> {
    scene: &'a Scene,
    folder: tempfile::TempDir,
}

impl<'a> Person<'a> {
    fn new(scene: &'a Scene) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = format!(
            "#!/bin/sh\nexec {} kubectl --kubeconfig {} --cache-dir {}/cache \"$@\"\n",
            script("program").display(),
            quiet_plane().kubeconfig().display(),
            folder.path().display()
        );
        let person = Self { scene, folder };
        fs::write(person.kubectl(), program).unwrap();
        fs::set_permissions(person.kubectl(), fs::Permissions::from_mode(0o755)).unwrap();
        person
    }

    fn kubectl(&self) -> PathBuf {
        self.folder.path().join("kubectl")
    }

    /// The exit code, and what is said.
    fn plan(&self, manifest: &str) -> (i32, String) {
        let file = self.folder.path().join("chatcluster.yaml");
        fs::write(&file, manifest).unwrap();
        let Output { status, stdout, stderr } = Command::new(binary())
            .args(["plan", "--diff", "--namespace", &self.scene.namespace, "--file"])
            .arg(&file)
            .env("KUBECTL", self.kubectl())
            .output()
            .unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        (status.code().unwrap(), said)
    }

    fn versions(&self) -> String {
        let of = "deployments,statefulsets,services,configmaps,secrets,networkpolicies,ingresses";
        let path = "jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}";
        self.scene.must(&["get", of, "-o", path])
    }
}

#[tokio::test]
async fn it_says_what_an_apply_then_does() {
    let scene = Scene::new(quiet_plane()).await;
    let person = Person::new(&scene);
    let (code, said) = person.plan(TEN_LINES);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("there is no ChatCluster chat in {}", scene.namespace)), "{said}");

    scene.apply_ten_lines();
    scene.converge(Point::Never).await;
    let before = person.versions();
    let (code, said) = person.plan(TEN_LINES);
    assert_eq!((code, said.trim()), (0, "nothing would change"));

    let changed = format!(
        "{TEN_LINES}  api: {{scaling: {{type: Fixed, fixed: {{replicas: 3}}}}}}\n  \
         gateway: {{drain: {{period: 90s}}}}\n"
    );
    let (code, said) = person.plan(&changed);
    assert_eq!(code, 1, "{said}");
    for line in ["replicas of Deployment chat-api: 2 now, 3 then", "terminationGracePeriodSeconds: 130"] {
        assert!(said.contains(line), "{line} in {said}");
    }
    assert!(!said.contains("chat-main-0"), "databases stay as they are: {said}");
    assert_eq!(person.versions(), before, "a plan changes nothing");

    scene.apply(&changed);
    scene.converge(Point::Never).await;
    let replicas = scene.must(&["get", "deployment", "chat-api", "-o", "jsonpath={.spec.replicas}"]);
    assert_eq!(replicas, "3");
    let (code, said) = person.plan(&changed);
    assert_eq!((code, said.trim()), (0, "nothing would change"));
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_and_a_missing_kubectl_are_told_apart() {
    let scene = Scene::new(quiet_plane()).await;
    let person = Person::new(&scene);
    fs::write(person.kubectl(), "#!/bin/sh\necho 'The connection to the server was refused' >&2\nexit 1\n").unwrap();
    let (code, said) = person.plan(TEN_LINES);
    assert!(code > 1 && said.contains("The connection to the server was refused"), "{code} {said}");
    fs::remove_file(person.kubectl()).unwrap();
    let (code, said) = person.plan(TEN_LINES);
    assert!(code > 1 && said.contains("KUBECTL names another program"), "{code} {said}");
}
