import { openClient } from './core';
import { watchForUpdates } from './views/service_worker/update';
import { start } from './views/start';

const element = document.getElementById('klatch');
if (!element) throw new Error('the page has no element for the views');

// No await at the top of the module: it would tear the first download into many small files.
void openClient().then((client) => start(client, element));
void watchForUpdates().catch((error: unknown) => console.warn('the service worker was not installed:', error));
