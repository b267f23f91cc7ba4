// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';

// Children always come as arrays: E() would treat a lone string as HTML, and names and reasons are not ours.
function message(kind, ...lines) {
	return E('div', { 'class': 'alert-message ' + kind }, lines.map(line => E('div', {}, [ line ])));
}

return baseclass.extend({
	message: message,

	// Why the configuration saved last is not in use; without a daemon, why there is not even a status.
	refused: function(status) {
		if (status.error)
			return [ message('danger', ...status.error.split('\n')) ];
		const last = status.daemon?.last_reload;
		return last?.error == null ? [] : [ message('danger',
			_('The configuration read on %s was rejected; the previous one stays in use:').format(new Date(last.time * 1000).toLocaleString()),
			...last.error.split('\n')) ];
	}
});
