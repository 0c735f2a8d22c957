-- Contacts that Emarsys has from us.
select count(*) as units from delivery.delivered where flow = 'contacts'
