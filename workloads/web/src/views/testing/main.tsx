import '../service_worker/trusted';
import { start } from '../start';
import { openDouble, type Scenario } from './double';

// The scenario comes as JSON in the address: ?scenario={"empty":true}
const parameters = new URLSearchParams(location.search);
const scenario = JSON.parse(parameters.get('scenario') ?? '{}') as Scenario;
if (parameters.get('dir') === 'rtl') document.documentElement.dir = 'rtl';
const element = document.getElementById('klatch');
if (element) start(openDouble(scenario), element);
