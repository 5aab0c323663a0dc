# The image of Klatch: the programs `klatch` and `klatch-operator`, linked statically, and the web client. No shell, no library,
# nothing that runs as root.
#
#   docker build -t registry.example.org/chat/klatch:0.1.0 .     (podman build, buildah build)
#
# One image serves the operator and every pod that it makes: charts/klatch-operator's image.repository and a ChatCluster's
# spec.image.registry lead to it.

FROM docker.io/library/rust:1.95.0-trixie AS programs
WORKDIR /source
COPY . .
# As tests/kube/static does it: the C library goes into the binaries.
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
    && RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --release --target "$target" -p klatch -p klatch-controller \
    && install -D --strip -t /image/usr/bin "target/$target/release/klatch" "target/$target/release/klatch-operator" \
    && install -D -m 0644 -t /image/etc/ssl/certs /etc/ssl/certs/ca-certificates.crt \
    && install -d -m 1777 /image/tmp

FROM docker.io/library/node:24-trixie AS web
WORKDIR /source
COPY workloads/web .
RUN npm ci --silent && npm run --silent build

FROM scratch
COPY --from=programs /image/ /
COPY --from=web /source/dist/ /usr/share/klatch/web/
USER 10001:10001
ENTRYPOINT ["/usr/bin/klatch"]
