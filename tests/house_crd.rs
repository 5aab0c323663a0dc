//! The committed definition, and the chart's copy of it, are what operator/crd makes.

use std::{env, fs, path::PathBuf};

/// Helm fills these in; everything else of the chart's template is the definition.
const HEAD: &str = "\
{{- /* Generated with crds/; see there. */}}
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: chatclusters.klatch.dev
  annotations:
    {{- if .Values.keep }}
    helm.sh/resource-policy: keep
    {{- end }}
    {{- with .Values.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    app.kubernetes.io/name: {{ .Chart.Name }}
    app.kubernetes.io/managed-by: {{ .Release.Service }}
    {{- with .Values.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
";

fn check(file: &str, current: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    if env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        fs::write(&path, current).expect("a writable definition");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == current, "{file} is out of date; UPDATE=1 with this test writes it anew");
}

#[test]
fn the_committed_definition_is_current() {
    check(klatch_crd::FILE, &klatch_crd::definition_yaml().expect("YAML"));
}

#[test]
fn the_charts_definition_is_current() {
    let yaml = klatch_crd::definition_yaml().expect("YAML");
    let spec = yaml.find("\nspec:\n").expect("a spec");
    let spec = &yaml[spec + 1..];
    assert!(!spec.contains("{{"), "Helm would take a description for a template");
    check("charts/klatch-operator-crds/templates/chatclusters.yaml", &format!("{HEAD}{spec}"));
}
