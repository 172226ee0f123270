# Weir in a small image: Node runs the TypeScript sources as they are (types stripped, from a checkout, since Node does
# not strip types inside node_modules). Non-root; the root file system may be read-only, only /data is written.

FROM node:26-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# Install scripts of packages do not run: nothing here needs one at run time.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && npm cache clean --force

FROM node:26-slim
LABEL org.opencontainers.image.title="weir" \
      org.opencontainers.image.description="A transparent safety proxy for LLM traffic" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="The Weir Authors"
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY src ./src
COPY plugins ./plugins
COPY config ./config
RUN mkdir /data && chown 1000:1000 /data
USER 1000:1000
VOLUME /data
# The container's own network is the boundary here; publish only the ports you mean to.
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/weir/healthz').then(r=>process.exit(r.ok?0:1),()=>process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "src/main.ts"]
CMD ["start", "--config", "config/container.yaml"]
