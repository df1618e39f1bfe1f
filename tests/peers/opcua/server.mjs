// An OPC UA server of another stack than asyncua: one metering point whose register rises by the clock.
// Arguments: port, folder for its certificates, URI of a namespace to be registered before the meter's.
// It prints "ready" when it listens, and ends when its standard input does.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { OPCUAServer } = require("node-opcua-server");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { nodesets } = require("node-opcua-nodesets");
const { DataType } = require("node-opcua-variant");
const { StatusCodes } = require("node-opcua-status-code");

const [port, folder, before] = process.argv.slice(2);
const STEP_MS = 100;  // the register advances by 1 Wh in each

const server = new OPCUAServer({
  port: Number(port),
  host: "127.0.0.1",
  hostname: "127.0.0.1",
  nodeset_filename: [nodesets.standard],
  serverCertificateManager: new OPCUACertificateManager({ rootFolder: `${folder}/own`, automaticallyAcceptUnknownCertificate: true }),
  userCertificateManager: new OPCUACertificateManager({ rootFolder: `${folder}/users` }),
});
await server.initialize();

const space = server.engine.addressSpace;
space.registerNamespace(before);
const ours = space.registerNamespace("urn:example:turbine");
const point = ours.addObject({ browseName: "GT1", nodeId: "s=gt1", organizedBy: space.rootFolder.objects });

function variable(name, dataType, value) {
  return ours.addVariable({
    componentOf: point, browseName: name, nodeId: `s=${name}`, dataType, value: { dataType, value },
    minimumSamplingInterval: 50,
  });
}
const register = variable("import", DataType.Double, 0);
variable("export", DataType.Double, 0.5);
variable("power", DataType.Float, 100);
const failed = variable("failed", DataType.Double, 7);
variable("serial", DataType.String, "A-17");
failed.setValueFromSource({ dataType: DataType.Double, value: 7 }, StatusCodes.BadSensorFailure);

function advance() {
  register.setValueFromSource({ dataType: DataType.Double, value: Math.floor(Date.now() / STEP_MS) }, StatusCodes.Good, new Date());
}
advance();
const timer = setInterval(advance, STEP_MS);

await server.start();
console.log("ready");
process.stdin.resume();
process.stdin.on("end", async () => {
  clearInterval(timer);
  await server.shutdown(0);
  process.exit(0);
});
