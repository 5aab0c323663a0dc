//! `klatch plan --diff` against a real apiserver: what it says is what an apply then does, and it does nothing itself.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use klatch_desired::ROTATION;
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
        self.plan_file(&file)
    }

    fn command(&self, file: &Path) -> Command {
        let mut command = Command::new(binary());
        command.args(["plan", "--diff", "--namespace", &self.scene.namespace, "--file"]).arg(file);
        command.env("KUBECTL", self.kubectl());
        command
    }

    fn plan_file(&self, file: &Path) -> (i32, String) {
        let Output { status, stdout, stderr } = self.command(file).output().unwrap();
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
    for line in ["replicas of Deployment chat-api: 2 now, 3 then", "terminationGracePeriodSeconds: 115"] {
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

/// 1 is a difference, and nothing else is.
#[tokio::test]
async fn whatever_keeps_it_from_being_told_has_a_code_of_its_own() {
    let scene = Scene::new(quiet_plane()).await;
    let person = Person::new(&scene);
    let program = fs::read_to_string(person.kubectl()).unwrap();
    let says = |manifest: &str, code: i32, words: &str| {
        let said = person.plan(manifest);
        assert!(said.0 == code && said.1.contains(words), "{code} {words}: {said:?}");
    };
    says("kind: ChatCluster\n", 3, "would be refused");
    scene.apply_ten_lines();
    scene.converge(Point::Never).await;
    let note = |value: &str| {
        let value = format!("{ROTATION}={value}");
        scene.must(&["annotate", "secret", "chat-broker-logins", "--overwrite", &value]);
    };
    note("{rotations");
    says(TEN_LINES, 5, "of Secret chat-broker-logins");
    note("{}");
    says(TEN_LINES, 0, "nothing would change");
    for (refused, words) in [("get", "The connection to the server was refused"), ("diff", "kubectl diff failed")] {
        let broken = format!("case $1 in {refused}) echo '{words}' >&2; exit 2;; esac");
        fs::write(person.kubectl(), program.replace("#!/bin/sh\n", &format!("#!/bin/sh\n{broken}\n"))).unwrap();
        says(TEN_LINES, 4, words);
    }
    fs::write(person.kubectl(), "#!/bin/sh\necho no JSON\n").unwrap();
    says(TEN_LINES, 4, "printed no JSON");
    fs::remove_file(person.kubectl()).unwrap();
    says(TEN_LINES, 5, "KUBECTL names another program");
    let (code, said) = person.plan_file(&person.folder.path().join("nothing.yaml"));
    assert!(code == 5 && said.contains("cannot open"), "{code} {said}");
}

/// Who has read enough is told the same.
#[tokio::test]
async fn a_reader_that_goes_away_makes_no_difference_of_none() {
    let scene = Scene::new(quiet_plane()).await;
    let person = Person::new(&scene);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let file = person.folder.path().join("chatcluster.yaml");
    fs::write(&file, TEN_LINES).unwrap();
    let ended = person.command(&file).stdout(writer).status().unwrap();
    assert_eq!(ended.code(), Some(1), "all of it would be made");
}
